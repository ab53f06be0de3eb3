// Prints a certificate and its key, as JSON on one line. What it is to be comes as JSON on standard input: without an authority it
// makes one.
import { text } from "node:stream/consumers";
import { type KeyPair, makeAuthority, makeCertificate } from "./replicas/certificate.ts";

interface Input {
  authority?: KeyPair;
  role: string;
  address: string;
}

const { authority, ...wanted } = JSON.parse(await text(process.stdin)) as Input;
const made = authority ? await makeCertificate(authority, wanted) : await makeAuthority();
process.stdout.write(`${JSON.stringify(made)}\n`);
