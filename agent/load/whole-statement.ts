import { randomBytes } from "node:crypto";

/** A statement for psql that it sends on as it is, without looking for its end by itself: the tags are in no dump. */
export function wholeStatement(sql: Buffer): Buffer {
  const [outer, inner] = [newTag(), newTag()];
  return Buffer.concat([
    Buffer.from(`DO ${outer}BEGIN EXECUTE ${inner}`),
    sql,
    Buffer.from(`${inner}; END${outer};`),
  ]);
}

function newTag(): string {
  return `$budgie_${randomBytes(12).toString("hex")}$`;
}
