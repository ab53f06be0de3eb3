/**
 * A container's log as text. The engine puts eight bytes before each piece, the last four of them its length; a container
 * with a terminal has none of these frames.
 */
export function withoutFrames(raw: Buffer): string {
  const pieces: Buffer[] = [];
  let at = 0;
  while (at + 8 <= raw.length && [0, 1, 2].includes(raw[at] ?? -1)) {
    const end = at + 8 + raw.readUInt32BE(at + 4);
    pieces.push(raw.subarray(at + 8, end));
    at = end;
  }
  return (at === 0 ? raw : Buffer.concat(pieces)).toString("utf8");
}
