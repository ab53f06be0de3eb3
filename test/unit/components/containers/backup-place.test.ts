import { expect, it } from "vitest";
import { backupPlace } from "../../../../components/containers/backup-place.ts";

const [HERE, THERE] = ["unix:///var/run/docker.sock", "ssh://budgie@server"];
const place = (host: string, backupDir: string) =>
  backupPlace({ host }, { backupDir, namePrefix: "budgie" }, "/project");

it.each([
  [HERE, "./backups", "/project/backups"],
  // However it is written: another spelling would mean another container.
  [HERE, "/srv/backups/", "/srv/backups"],
  [HERE, "/srv/../backups", "/backups"],
  [THERE, "/srv/backups/", "/srv/backups/"],
])("with the engine %s, %s is the folder %s", (host, written, source) => {
  expect(place(host, written)).toEqual({ source, isVolume: false, shown: written });
});

it("on another machine, a relative path is a volume, shown as `docker cp` wants it", () => {
  expect(place(THERE, "./backups")).toEqual({
    source: "budgie-backups",
    isVolume: true,
    shown: "budgie-backup:/backups",
  });
});
