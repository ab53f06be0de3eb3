import forge from "node-forge";

/** A certificate and its private key, both in PEM. */
export interface KeyPair {
  certificate: string;
  key: string;
}

/** Long, because nothing renews them by itself: docs/replica.md says how they are made anew. */
const YEARS = 20;
const BITS = 3072;
/** A clock of another machine may be behind. */
const LEEWAY_MS = 24 * 3600 * 1000;

/** The stack's own authority. It vouches for its database and its replicas, and for nothing else. */
export async function makeAuthority(now = new Date()): Promise<KeyPair> {
  const name = [{ name: "commonName", value: "Budgie replication" }];
  return sign({ subject: name, issuer: name, now, signer: undefined }, [
    { name: "basicConstraints", cA: true, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ]);
}

/**
 * For one machine: as a server it is known by its address, and as a client by the role that it connects as. Each machine is both, because a
 * replica may become the database.
 */
export async function makeCertificate(
  authority: KeyPair,
  { role, address, now = new Date() }: { role: string; address: string; now?: Date },
): Promise<KeyPair> {
  const issuer = forge.pki.certificateFromPem(authority.certificate).subject.attributes;
  const subject = [{ name: "commonName", value: role }];
  return sign({ subject, issuer, now, signer: forge.pki.privateKeyFromPem(authority.key) }, [
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    { name: "extKeyUsage", serverAuth: true, clientAuth: true },
    // 7 is an IP address, 2 a name.
    {
      name: "subjectAltName",
      altNames: [isAddress(address) ? { type: 7, ip: address } : { type: 2, value: address }],
    },
  ]);
}

interface Signing {
  subject: forge.pki.CertificateField[];
  issuer: forge.pki.CertificateField[];
  now: Date;
  /** Without one it signs itself. */
  signer: forge.pki.rsa.PrivateKey | undefined;
}

async function sign({ subject, issuer, now, signer }: Signing, extensions: object[]): Promise<KeyPair> {
  const pair = await new Promise<forge.pki.rsa.KeyPair>((resolve, reject) =>
    forge.pki.rsa.generateKeyPair({ bits: BITS }, (error, made) => (error ? reject(error) : resolve(made))),
  );
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = pair.publicKey;
  // Positive, whatever the random bytes are.
  certificate.serialNumber = `01${forge.util.bytesToHex(forge.random.getBytesSync(15))}`;
  certificate.validity.notBefore = new Date(now.getTime() - LEEWAY_MS);
  certificate.validity.notAfter = new Date(now.getTime());
  certificate.validity.notAfter.setFullYear(now.getFullYear() + YEARS);
  certificate.setSubject(subject);
  certificate.setIssuer(issuer);
  certificate.setExtensions(extensions);
  certificate.sign(signer ?? pair.privateKey, forge.md.sha256.create());
  return {
    certificate: pem(forge.pki.certificateToPem(certificate)),
    key: pem(forge.pki.privateKeyToPem(pair.privateKey)),
  };
}

function isAddress(address: string): boolean {
  return /^[0-9.]+$/.test(address);
}

function pem(text: string): string {
  return text.replaceAll("\r\n", "\n");
}
