import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { lookAtBucket, lookingClient, type Seen } from "../../../../components/offsite/bucket-look.ts";
import { ownershipOf } from "../../../../components/offsite/bucket-owner.ts";
import type { ObjectStoreSettings } from "../../../../settings/offsite.ts";

type Store = Extract<ObjectStoreSettings, { kind: "aws" | "s3" }>;

const lifecycle = { keepDays: 90, noncurrentDays: 30, transition: undefined, lockDays: 0 };
const common = { bucket: "ledger", region: "us-east-1", pathStyle: true, lifecycle };
const aws: Store = { kind: "aws", ...common, endpoint: undefined };
const stack = { stack: "dev", namePrefix: "budgie" };
const OWN = { "budgie:project": "budgie", "budgie:stack": "dev", "budgie:prefix": "budgie" };

let garage: Store;
beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => ({ id: name, state: inputs }),
    call: () => ({}),
  });
  const operator = { accessKeyId: pulumi.secret("key"), secretAccessKey: pulumi.secret("canary-secret") };
  const endpoint = "https://garage.example.com";
  garage = { kind: "s3", ...common, endpoint, profile: undefined, operator, writer: undefined };
});

const ANOTHER =
  "  npm run pulumi -- config set budgie:bucket budgie-dev-backups     # another one; the name must be nobody else's in the world";

function refusal(seen: Seen, store = aws): string {
  const ownership = ownershipOf(seen, store, stack);
  if (ownership.is !== "refused") throw new Error(`it is ${ownership.is}`);
  return ownership.problem;
}

describe("a bucket", () => {
  it("that is not there is made", () => {
    expect(ownershipOf({ as: "absent" }, aws, stack)).toEqual({ is: "absent" });
  });

  it("with this stack's tags is taken over, whatever else it is tagged with", () => {
    expect(ownershipOf({ as: "tagged", tags: { ...OWN, "cost-centre": "home" } }, aws, stack)).toEqual({
      is: "own",
    });
  });

  it("with another stack's tags is refused, with its name and how to hand it over", () => {
    const tags = { ...OWN, "budgie:stack": "prod", "cost-centre": "mum's" };
    expect(refusal({ as: "tagged", tags })).toBe(
      [
        "The bucket ledger is there, and its tags say that it is the stack prod's with the name prefix budgie. Nothing was changed.",
        ANOTHER,
        `  aws s3api put-bucket-tagging --bucket ledger --tagging '{"TagSet":[{"Key":"budgie:project","Value":"budgie"},` +
          `{"Key":"budgie:stack","Value":"dev"},{"Key":"budgie:prefix","Value":"budgie"},{"Key":"cost-centre","Value":"mum'\\''s"}]}'` +
          "     # if it is to be this stack's from now on",
      ].join("\n"),
    );
  });

  it("of the same stack under another name prefix is refused", () => {
    const tags = { ...OWN, "budgie:prefix": "other" };
    expect(refusal({ as: "tagged", tags })).toContain("it is the stack dev's with the name prefix other.");
  });

  it("without tags is refused: it may hold anything", () => {
    expect(refusal({ as: "tagged", tags: {} })).toContain(
      "The bucket ledger is there, and nothing says that it is this stack's. Nothing was changed.",
    );
  });

  it("that may not be looked at, or is in another region, is refused", () => {
    expect(refusal({ as: "forbidden" })).toBe(
      [
        "The bucket ledger is there, and your credentials may not look at it: it is most likely another account's. Nothing was changed.",
        ANOTHER,
      ].join("\n"),
    );
    expect(refusal({ as: "elsewhere", region: "eu-central-1" })).toBe(
      [
        "The bucket ledger is there, but not in the region us-east-1: it is in eu-central-1. Nothing was changed.",
        "  npm run pulumi -- config set budgie:region eu-central-1     # if it is this stack's",
        ANOTHER,
      ].join("\n"),
    );
  });

  it("in a store without tags is told by its objects", () => {
    const listed = (keys: string[], more = false): Seen => ({ as: "listed", keys, more });
    expect(ownershipOf(listed([]), garage, stack)).toEqual({ is: "own" });
    expect(ownershipOf(listed(["dev/a.sql"]), garage, stack)).toEqual({ is: "own" });
    expect(ownershipOf(listed(["dev/a.sql"], true), garage, stack)).toEqual({
      is: "own",
      note: "Whether the bucket ledger is this stack's was told by its first 1 objects.",
    });
    expect(refusal(listed(["dev/a.sql", "development/b.sql"]), garage)).toContain(
      'The bucket ledger is there and holds "development/b.sql", which is not under dev/: it is not this stack\'s alone.',
    );
  });

  it("of which nothing can be learnt is neither refused nor taken over", () => {
    const unknown: Seen = {
      as: "unknown",
      why: "no AWS credentials were found",
      withoutCredentials: true,
    };
    expect(ownershipOf(unknown, aws, stack)).toEqual({
      is: "unsure",
      problem: [
        "Whose the bucket ledger at Amazon S3 is cannot be told: no AWS credentials were found.",
        "  aws sts get-caller-identity     # says whether your AWS credentials work; AWS_PROFILE chooses others",
      ].join("\n"),
      withoutCredentials: true,
    });
    expect(ownershipOf(unknown, garage, stack)).toMatchObject({
      problem: expect.stringContaining("npm run pulumi -- config set --secret budgie:s3AccessKeyId"),
    });
  });
});

describe("looking at a bucket", () => {
  let server: Server | undefined;
  afterEach(() => new Promise<void>(resolve => (server ? server.close(() => resolve()) : resolve())));

  async function look(answer: RequestListener, hasTags = true): Promise<Seen> {
    server = createServer(answer);
    await new Promise<void>(resolve => server?.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return see(`http://127.0.0.1:${port}`, hasTags);
  }

  function see(endpoint: string, hasTags = true): Promise<Seen> {
    const credentials = { accessKeyId: "key", secretAccessKey: "canary-secret" };
    const client = lookingClient({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
    return lookAtBucket(client, "ledger", hasTags);
  }

  const error = (code: string, more = "") => `<Error><Code>${code}</Code><Message>m</Message>${more}</Error>`;
  /** Answers HEAD with `head` and no body, any other request with `status` and `body`. */
  const answers =
    (head: number, status = 200, body = ""): RequestListener =>
    (request, response) => {
      response.writeHead(request.method === "HEAD" ? head : status, { "content-type": "application/xml" });
      response.end(request.method === "HEAD" ? undefined : body);
    };
  const tagSet = `<Tagging><TagSet><Tag><Key>budgie:stack</Key><Value>dev</Value></Tag></TagSet></Tagging>`;

  it.each<[string, RequestListener, Seen]>([
    ["is not there", answers(404), { as: "absent" }],
    ["has tags", answers(200, 200, tagSet), { as: "tagged", tags: { "budgie:stack": "dev" } }],
    ["has none", answers(200, 404, error("NoSuchTagSet")), { as: "tagged", tags: {} }],
    ["is another account's", answers(403, 403, error("AccessDenied")), { as: "forbidden" }],
    [
      "is in another region",
      answers(301, 400, error("AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>")),
      { as: "elsewhere", region: "eu-central-1" },
    ],
    [
      "is asked for with an unknown key",
      answers(403, 403, error("InvalidAccessKeyId")),
      { as: "unknown", why: "it does not know the access key (InvalidAccessKeyId)" },
    ],
  ])("sees that it %s", async (_, server, seen) => {
    expect(await look(server)).toEqual(seen);
  });

  it("lists it in a store without tags", async () => {
    const body =
      "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>dev/a.sql</Key></Contents></ListBucketResult>";
    expect(await look(answers(200, 200, body), false)).toEqual({
      as: "listed",
      keys: ["dev/a.sql"],
      more: true,
    });
  });

  it("says why it could not", async () => {
    expect(await see("http://127.0.0.1:1")).toEqual({
      as: "unknown",
      why: "it does not answer (ECONNREFUSED)",
    });
    expect(await look(answers(503))).toMatchObject({ as: "unknown", why: expect.stringContaining("503") });
  });
});
