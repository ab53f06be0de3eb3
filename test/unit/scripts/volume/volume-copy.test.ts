import { beforeEach, expect, it, vi } from "vitest";
import { requireRoomForCopy } from "../../../../scripts/volume/volume-copy.ts";
import * as work from "../../../../scripts/volume/volume-work.ts";
import { EXIT } from "../../../../shared/exit-codes.ts";

vi.mock("../../../../scripts/volume/volume-work.ts", () => ({ askVolumes: vi.fn(), workOnVolumes: vi.fn() }));

const engine = { host: "unix:///nonexistent/engine.sock", kind: "docker", reachable: true } as const;
const stack = { name: "dev", prefix: "budgie", engine, containers: [] };
const KB_OF_ROOM = 1_000_000;

beforeEach(() => {
  vi.mocked(work.askVolumes).mockResolvedValue(`overlay 2000000 1000000 ${KB_OF_ROOM} 50% /var/lib\n`);
});

it("a copy for which there is room goes on", async () => {
  await expect(requireRoomForCopy(stack, "old", 100_000)).resolves.toBeUndefined();
});

it("a copy that would fill the disk is refused with the bytes that it needs and that are free", async () => {
  const refused = requireRoomForCopy(stack, "old", 900_000);
  await expect(refused).rejects.toMatchObject({
    code: EXIT.noSpace,
    message: `The volume old must be copied into budgie-postgres-data, which takes ${(900_000 + 262_144) * 1024} bytes; the container engine's disk has ${KB_OF_ROOM * 1024} free. Nothing was changed.`,
  });
});

it("a disk that does not say how much is free has not enough", async () => {
  vi.mocked(work.askVolumes).mockResolvedValue("");
  await expect(requireRoomForCopy(stack, "old", 1)).rejects.toMatchObject({ code: EXIT.noSpace });
});
