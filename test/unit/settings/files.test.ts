import * as pulumi from "@pulumi/pulumi";
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { parseSettings } from "../../../settings.ts";
import {
  configurationOf,
  type SettingsFile,
  settingsFile,
  wrongAnswer,
} from "../../support/stack/settings-files.ts";

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => ({ id: name, state: inputs }),
    call: () => ({}),
  });
});

/** What is said of the file; null when it is accepted. Anything but a refusal is thrown on. */
function refusalOf(file: SettingsFile): string | null {
  const { stack, values, secretNames } = configurationOf(file);
  try {
    parseSettings({ stack, values, isSecret: name => secretNames.includes(name) });
    return null;
  } catch (error) {
    if (!pulumi.RunError.isInstance(error)) throw error;
    return error.message;
  }
}

it("of any settings, everything that is wrong is named, and nothing else", () => {
  const seen = { accepted: 0, refused: 0, most: 0 };
  fc.assert(
    fc.property(settingsFile, file => {
      const refusal = refusalOf(file);
      expect(wrongAnswer(file, refusal)).toBeNull();
      seen[refusal === null ? "accepted" : "refused"]++;
      seen.most = Math.max(seen.most, file.problems.length);
    }),
    { numRuns: 3000 },
  );
  expect(seen.accepted, "accepted ones were among them").toBeGreaterThan(300);
  expect(seen.refused).toBeGreaterThan(300);
  expect(seen.most, "some had many faults").toBeGreaterThan(5);
}, 60_000);
