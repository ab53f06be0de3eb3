import type Docker from "dockerode";
import { Header } from "tar";

/** A file that Pulumi puts into a container when it makes it, as its state remembers it. */
export interface Uploaded {
  file: string;
  content: string;
  permissions?: string;
}

const BLOCK = 512;

/** Puts them into a container that runs, or does not. What they hold goes through memory alone. */
export async function giveBackFiles(container: Docker.Container, files: readonly Uploaded[]): Promise<void> {
  if (files.length === 0) return;
  await container.putArchive(archive(files), { path: "/" });
}

function archive(files: readonly Uploaded[]): Buffer {
  const parts = files.flatMap(({ file, content, permissions = "0644" }) => {
    const body = Buffer.from(content);
    const header = new Header({
      path: file.replace(/^\//, ""),
      mode: Number.parseInt(permissions, 8),
      size: body.length,
      uid: 0,
      gid: 0,
      mtime: new Date(),
      type: "File",
    });
    header.encode();
    return [header.block as Buffer, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}
