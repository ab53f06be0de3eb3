import { type FileHandle, open } from "node:fs/promises";
import type { Stop } from "../../shared/exit-codes.ts";
import { shellWord } from "../../shared/shell-word.ts";
import { refuse } from "../base/refuse.ts";

/** As much of a file as tells what it is. */
const HEAD_BYTES = 1024;
const SAMPLE_BYTES = 1 << 20;
/** So many line ends of Windows, and none of another kind, are no accident. */
const ENOUGH_LINE_ENDS = 8;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** In what people pack a dump, and the program that unpacks it. */
const PACKED: readonly { bytes: Buffer; what: string; unpack: string }[] = [
  { bytes: Buffer.from("PK\x03\x04"), what: "a zip file", unpack: "unzip -p" },
  { bytes: Buffer.from("BZh"), what: "compressed with bzip2", unpack: "bzip2 -dc" },
  { bytes: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a]), what: "compressed with xz", unpack: "xz -dc" },
  { bytes: Buffer.from([0x37, 0x7a, 0xbc, 0xaf]), what: "a 7z file", unpack: "7z x -so" },
  { bytes: Buffer.from([0x04, 0x22, 0x4d, 0x18]), what: "compressed with lz4", unpack: "lz4 -dc" },
  { bytes: Buffer.from("Rar!"), what: "a rar file", unpack: "unrar p -inul" },
];
/**
 * pg_dump's tar format, which is not its directory format in a tar file: what the first file in it begins with, its versions and
 * sizes between. pg_restore never ends on such a file that was cut off.
 */
const TAR_FORMAT = { toc: Buffer.from("PGDMP"), at: 512, format: 522, tar: 3 };
const UTF_16 = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];

/** The first bytes of a file. */
export async function headOf(path: string): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    return await read(file, HEAD_BYTES);
  } finally {
    await file.close();
  }
}

/** The refusal of a file that is surely no dump as it is, with the command that makes a dump of it; null when it may be one. */
export function refusalOf(head: Buffer, shown: string): Stop | null {
  const packed = PACKED.find(({ bytes }) => head.subarray(0, bytes.length).equals(bytes));
  if (packed) {
    return refuse(
      `${shown} is ${packed.what}, which is not unpacked here`,
      `Unpack it on the way: ${packed.unpack} ${shellWord(shown)} | npx budgie restore -`,
    );
  }
  const { toc, at, format, tar } = TAR_FORMAT;
  if (head.subarray(at, at + toc.length).equals(toc) && head[format] === tar) {
    return refuse(
      `${shown} is in pg_dump's tar format, which is not read here`,
      `Make SQL of it on the way, with PostgreSQL's own program: pg_restore --file=- ${shellWord(shown)} | npx budgie restore -`,
    );
  }
  if (UTF_16.some(mark => head.subarray(0, 2).equals(mark))) {
    return refuse(
      `${shown} is UTF-16, as PowerShell's > writes it`,
      `Convert it: iconv -f UTF-16 -t UTF-8 ${shellWord(shown)} | npx budgie restore - (better still, make it anew with pg_dump's own --file: what is not ASCII may have been lost on the way)`,
    );
  }
  return null;
}

export function refusePackedTwice(shown: string, program: "gzip" | "zstd"): Stop {
  return refuse(
    `${shown} is no SQL: it holds a file that was packed already, once more packed with ${program}`,
    `Unpack it on the way: ${program} -dc ${shellWord(shown)} | npx budgie restore -`,
  );
}

/**
 * Whether an archive of pg_dump went through a terminal, or an editor of Windows. Then a carriage return stands before each of its
 * line feeds, and none of its numbers is what it was.
 */
export async function wentThroughTerminal(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const sample = await read(file, SAMPLE_BYTES);
    let lineEnds = 0;
    for (let at = sample.indexOf(NEWLINE); at >= 0; at = sample.indexOf(NEWLINE, at + 1)) {
      if (sample[at - 1] !== RETURN) return false;
      lineEnds++;
    }
    return lineEnds >= ENOUGH_LINE_ENDS;
  } finally {
    await file.close();
  }
}

export function refuseTerminals(shown: string): Stop {
  return refuse(
    `${shown} went through a terminal, which put a carriage return before each line feed, so the archive is broken`,
    "Make it anew without one: docker exec CONTAINER pg_dump … (without -t), or with pg_dump's own --file",
  );
}

async function read(file: FileHandle, most: number): Promise<Buffer> {
  const bytes = Buffer.alloc(most);
  const { bytesRead } = await file.read(bytes, 0, most, 0);
  return bytes.subarray(0, bytesRead);
}
