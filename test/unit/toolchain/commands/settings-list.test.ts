import { expect, it } from "vitest";
import { declaredSettings } from "../../../../toolchain/commands/declared-settings.ts";
import { settingsList } from "../../../../toolchain/commands/settings-list.ts";

it("a stack's settings are shown with what they mean, and no secret", () => {
  const text = settingsList(declaredSettings(), {
    "budgie:httpPort": { value: "8080", secret: false },
    "budgie:databasePassword": { secret: true },
    "budgie:sessionSecret": { value: "", secret: false },
    "budgie:s3AccessKeyId": { value: "canary-in-plain-text", secret: false },
    "budgie:httpPrt": { value: "canary", secret: false },
  });
  expect(text).toContain("budgie:httpPort: 8080\n    The port on which the API is published.\n");
  expect(text).toContain("budgie:keepDays: 7 (default)\n");
  expect(text).toContain("budgie:databasePassword: [secret]\n    The password of the role budgie_user.");
  expect(text).toContain("budgie:sessionSecret: not set\n");
  expect(text).toContain(
    "budgie:httpPrt: not a setting\n    Remove it: npm run pulumi -- config rm budgie:httpPrt",
  );
  expect(text).not.toContain("canary");
  expect(Math.max(...text.split("\n").map(line => line.length))).toBeLessThan(130);
});
