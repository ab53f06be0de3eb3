import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Uses Python's modules: every machine of this project has Python, few have all of these programs. */
const PACK = {
  zip: "import zipfile,sys; zipfile.ZipFile(sys.argv[2],'w').write(sys.argv[1],'dump.sql')",
  bzip2: "import bz2,sys; open(sys.argv[2],'wb').write(bz2.compress(open(sys.argv[1],'rb').read()))",
  xz: "import lzma,sys; open(sys.argv[2],'wb').write(lzma.compress(open(sys.argv[1],'rb').read()))",
};

const packed = (how: keyof typeof PACK) => (content: Buffer) => {
  const folder = mkdtempSync(join(tmpdir(), "budgie-packed-"));
  try {
    const [plain, result] = [join(folder, "plain"), join(folder, "packed")];
    writeFileSync(plain, content);
    execFileSync("python3", ["-c", PACK[how], plain, result]);
    return readFileSync(result);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

export const zip = packed("zip");
export const bzip2 = packed("bzip2");
export const xz = packed("xz");
