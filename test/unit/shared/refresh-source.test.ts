import { describe, expect, it } from "vitest";
import { parseRefreshSource } from "../../../shared/refresh-source.ts";

const BUCKET = {
  kind: "s3",
  bucket: "prod-backups",
  prefix: null,
  endpoint: null,
  region: null,
  pathStyle: null,
};

const SSH = {
  kind: "ssh",
  target: "ssh://budgie@nas:22/backups",
  user: "budgie",
  host: "nas",
  port: 22,
  path: "/backups",
};

describe("where another stack's backups are", () => {
  it.each([
    ["../prod/backups", { kind: "directory", path: "../prod/backups" }],
    ["/srv/prod backups", { kind: "directory", path: "/srv/prod backups" }],
    ["s3://prod-backups", BUCKET],
    ["s3://prod-backups/", BUCKET],
    ["s3://prod-backups/eu/prod", { ...BUCKET, prefix: "eu/prod/" }],
    ["s3://prod-backups/prod/", { ...BUCKET, prefix: "prod/" }],
    [
      "s3://prod-backups?endpoint=https://s3.example.com:9000&region=auto&pathStyle=false",
      { ...BUCKET, endpoint: "https://s3.example.com:9000", region: "auto", pathStyle: false },
    ],
    ["budgie@nas:/backups/", SSH],
    ["ssh://budgie@nas/backups", SSH],
  ])("is read from %s", (text, place) => {
    expect(parseRefreshSource(text)).toEqual(place);
  });

  it.each([
    "",
    "s3://",
    "s3:///prod",
    "s3://b",
    "s3://prod-backups?endpoint=s3.example.com",
    "s3://prod-backups?endpoint=https://key:secret@s3.example.com",
    "s3://prod-backups?endpoint=https://s3.example.com/bucket",
    "s3://prod-backups?secretAccessKey=x",
    "s3://prod-backups?pathStyle=yes",
    "ssh://nas/backups",
    "budgie@nas:backups",
    "ssh://budgie@nas/backups/../other",
    "https://example.com/backups",
    "c:\\backups",
    "two\nlines",
  ])("is not read from %j", text => {
    expect(parseRefreshSource(text)).toBeUndefined();
  });
});
