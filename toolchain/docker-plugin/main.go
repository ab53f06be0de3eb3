// pulumi-resource-docker for machines that cannot download the official one: the same upstream Terraform provider behind the
// same bridge, with the same tokens and property names as @pulumi/docker. docker.Image is not here: the official plugin
// implements it natively.
package main

import (
	"encoding/json"
	"strings"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

const name = "docker"

// Set by the linker, to the version of @pulumi/docker.
var version = "0.0.0"

var resources = map[string]string{
	"docker_config":         "ServiceConfig",
	"docker_container":      "Container",
	"docker_image":          "RemoteImage",
	"docker_network":        "Network",
	"docker_plugin":         "Plugin",
	"docker_registry_image": "RegistryImage",
	"docker_secret":         "Secret",
	"docker_service":        "Service",
	"docker_tag":            "Tag",
	"docker_volume":         "Volume",
}

var dataSources = map[string]string{
	"docker_image":          "getRemoteImage",
	"docker_logs":           "getLogs",
	"docker_network":        "getNetwork",
	"docker_plugin":         "getPlugin",
	"docker_registry_image": "getRegistryImage",
}

func token(member string) string {
	module := strings.ToLower(member[:1]) + member[1:]
	return name + ":index/" + module + ":" + member
}

func main() {
	mapped := map[string]*tfbridge.ResourceInfo{}
	for upstream, resource := range resources {
		mapped[upstream] = &tfbridge.ResourceInfo{Tok: tokens.Type(token(resource))}
	}
	read := map[string]*tfbridge.DataSourceInfo{}
	for upstream, function := range dataSources {
		read[upstream] = &tfbridge.DataSourceInfo{Tok: tokens.ModuleMember(token(function))}
	}

	container := mapped["docker_container"]
	// Its name and ports are taken until the old one is gone.
	container.DeleteBeforeReplace = true
	container.Fields = map[string]*tfbridge.SchemaInfo{
		"command":           {Name: "command"},
		"networks_advanced": {Name: "networksAdvanced"},
	}

	schema, err := json.Marshal(map[string]string{"name": name, "version": version})
	if err != nil {
		panic(err)
	}
	tfbridge.Main(name, version, tfbridge.ProviderInfo{
		P:           shim.NewProvider(provider.New(version)()),
		Name:        name,
		Version:     version,
		Config:      map[string]*tfbridge.SchemaInfo{"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()}},
		Resources:   mapped,
		DataSources: read,
	}, schema)
}
