import type { Properties } from "../../provider.ts";

/** What a change of the logs that go to CloudWatch is told in; nothing where there is none. */
export function logsExported(
  { enabledCloudwatchLogsExports: olds = [] }: Properties,
  { enabledCloudwatchLogsExports: news = [] }: Properties,
) {
  const [before, after] = [olds as string[], news as string[]];
  const EnableLogTypes = after.filter(log => !before.includes(log));
  const DisableLogTypes = before.filter(log => !after.includes(log));
  if (EnableLogTypes.length + DisableLogTypes.length === 0) return {};
  return { CloudwatchLogsExportConfiguration: { EnableLogTypes, DisableLogTypes } };
}
