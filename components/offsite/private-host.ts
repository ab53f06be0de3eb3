import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** The ranges of addresses that lead to this machine or stay on its own network. */
const PRIVATE = ["loopback", "private", "linkLocal", "carrierGradeNat", "uniqueLocal"];

/** Whether a URL's host is this machine or on its own network, as far as its name tells. */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (isIP(host) !== 0) return PRIVATE.includes(ipaddr.process(host).range());
  return !host.includes(".") || /\.(localhost|local|lan|internal|home\.arpa)$/.test(host);
}
