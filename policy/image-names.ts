import type { ContainerArgs, RemoteImageArgs } from "@pulumi/docker";
import type { ReportViolation, ResourceValidationArgs, ResourceValidationPolicy } from "@pulumi/policy";
import { CONTAINER, IMAGE, ofType } from "./resource-of-type.ts";
import { ifKnown } from "./unknown-values.ts";

const EXAMPLE = "postgres:16-alpine, or postgres@sha256:…";

export const imagesHaveATag: ResourceValidationPolicy = {
  name: "images-have-a-tag",
  description: "Every image is named with a tag or a digest.",
  severity: "medium",
  validateResource: eachImageName((image, { name }, report) => {
    if (image.digest || image.tag) return;
    report(
      `${name} names the image ${image.name} without a tag: what runs is whatever is newest on the day it is fetched, and a ` +
        `newer major version of PostgreSQL does not open the data. Type a name such as ${EXAMPLE}`,
    );
  }),
};

/** Only advice: some images that a setting may name have no tag that stays, and such a stack must still come up. */
export const imagesDoNotMove: ResourceValidationPolicy = {
  name: "images-do-not-move",
  description: "No image is named `latest`.",
  enforcementLevel: "advisory",
  severity: "low",
  validateResource: eachImageName((image, { name }, report) => {
    if (image.digest || image.tag !== "latest") return;
    report(
      `${name} runs ${image.name}:latest, which is another program after each release: two machines run different ones, and a ` +
        `broken one arrives unasked. Type its digest: ${image.name}@sha256:…`,
    );
  }),
};

interface ImageName {
  name: string;
  tag: string | undefined;
  digest: string | undefined;
}

/**
 * The name of a built image is no address. A container that names an image by its id was given one that is checked
 * itself.
 */
function eachImageName(
  check: (image: ImageName, resource: ResourceValidationArgs, report: ReportViolation) => void,
) {
  return [
    ofType<RemoteImageArgs>(IMAGE, (image, resource, report) => {
      if (!image.build) check(parse(image.name), resource, report);
    }),
    ofType<ContainerArgs>(CONTAINER, (container, resource, report) => {
      // Not known: the id of an image that is yet to be fetched or built, which is a resource of its own.
      const image = ifKnown(() => container.image);
      if (image !== undefined && !/^sha256:/.test(image)) check(parse(image), resource, report);
    }),
  ];
}

/** `registry:5000/team/image:tag@sha256:…`: only a colon behind the last slash begins a tag. */
function parse(reference: string): ImageName {
  const [beforeDigest = "", digest] = reference.split("@");
  const colon = beforeDigest.indexOf(":", beforeDigest.lastIndexOf("/") + 1);
  if (colon === -1) return { name: beforeDigest, tag: undefined, digest };
  return { name: beforeDigest.slice(0, colon), tag: beforeDigest.slice(colon + 1), digest };
}
