import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { aptInstall } from "../servers/apt-install.ts";

export interface TestFileSystem {
  /** Where it is mounted. */
  directory: string;
  remove(): Promise<void>;
}

/** exFAT (over FUSE) has no hard links, and every file belongs to one user. chown to another one is EPERM. */
export async function mountExfat(megabytes: number, owner = 0): Promise<TestFileSystem> {
  await aptInstall("exfat", ["exfat-fuse", "exfatprogs"]);
  return mounted(megabytes, async (image, directory) => {
    await execa("mkfs.exfat", [image]);
    const { stdout: loop } = await execa("losetup", ["--find", "--show", image]);
    const undo = () => execa("losetup", ["--detach", loop], { reject: false });
    try {
      await execa("mount.exfat-fuse", [loop, directory, "-o", `allow_other,uid=${owner},gid=${owner}`]);
    } catch (error) {
      await undo();
      throw error;
    }
    return undo;
  });
}

/** FAT32 (over FUSE) lacks the same, and does not even know chown: ENOSYS. */
export async function mountFat(megabytes: number): Promise<TestFileSystem> {
  await aptInstall("fat", ["fusefat", "dosfstools"]);
  return mounted(megabytes, async (image, directory) => {
    await execa("mkfs.vfat", ["-F", "32", image]);
    await execa("fusefat", ["-o", "rw+", "-o", "allow_other", image, directory]);
    return async () => undefined;
  });
}

/** Read-only, as after an error of the disk. */
export async function mountReadOnly(): Promise<TestFileSystem> {
  return mounted(1, async (_image, directory) => {
    await execa("mount", ["-t", "tmpfs", "-o", "ro,size=1m", "none", directory]);
    return async () => undefined;
  });
}

/** A disk of its own, which fills up without the machine's. */
export async function mountSmall(megabytes: number): Promise<TestFileSystem> {
  return mounted(1, async (_image, directory) => {
    await execa("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "none", directory]);
    return async () => undefined;
  });
}

async function mounted(
  megabytes: number,
  mount: (image: string, directory: string) => Promise<() => Promise<unknown>>,
): Promise<TestFileSystem> {
  const home = await mkdtemp(join(tmpdir(), "budgie-file-system-"));
  const [image, directory] = [join(home, "image"), join(home, "mounted")];
  await execa("mkdir", [directory]);
  await execa("truncate", ["--size", `${megabytes}M`, image]);
  const undo = await mount(image, directory);
  return {
    directory,
    remove: async () => {
      await execa("umount", [directory]);
      await undo();
      await rm(home, { recursive: true });
    },
  };
}
