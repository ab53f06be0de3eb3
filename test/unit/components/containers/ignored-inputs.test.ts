import type { ResourceTransformationArgs } from "@pulumi/pulumi";
import { expect, it } from "vitest";
import { labelledWith } from "../../../../components/containers/ignored-inputs.ts";

const labelsFor = (props: object) => {
  const transform = labelledWith(["capabilities", "logOpts"]);
  const own = [{ label: "budgie.role", value: "database" }];
  const result = transform({
    props: { ...props, labels: own },
    opts: {},
  } as unknown as ResourceTransformationArgs);
  return result?.props.labels;
};

it("a change of an ignored input shows in a label, and nothing else does", () => {
  const before = labelsFor({ capabilities: { drops: ["ALL"] }, restart: "always" });
  expect(before).toEqual([
    { label: "budgie.role", value: "database" },
    { label: "budgie.ignored-inputs", value: '{"capabilities":{"drops":["ALL"]}}' },
  ]);
  expect(labelsFor({ capabilities: { drops: ["ALL"] }, restart: "no" })).toEqual(before);
  expect(labelsFor({ capabilities: { drops: ["NET_RAW"] } })).not.toEqual(before);
});
