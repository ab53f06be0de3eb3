// pulumi preview --policy-pack policy
import { PolicyPack } from "@pulumi/policy";
import { policies } from "./policies.ts";

new PolicyPack("budgie", { policies, enforcementLevel: "mandatory" });
