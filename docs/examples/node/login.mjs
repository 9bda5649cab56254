/** Who one is: tickets, keys, and SCRAM-SHA-256 (RFC 5802, 7677), bound to the server's certificate in TLS. */

import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

const [KEY_ROUNDS, PASSWORD_ROUNDS, MOST_ROUNDS] = [4096, 600_000, 1_000_000];

const sha256 = (data) => createHash("sha256").update(data).digest();
const hmac = (key, data) => createHmac("sha256", key).update(data).digest();

function keysOf(secret, salt, rounds) {
  const salted = pbkdf2Sync(secret, salt, rounds, 32, "sha256");
  const client = hmac(salted, "Client Key");
  return { client, stored: sha256(client), server: hmac(salted, "Server Key") };
}

export const pinOf = (certificate) => sha256(certificate).toString("hex");

/** The SCRAM user name of a device. */
export const userOf = ({ account, device }) => `${encodeURIComponent(account)}/${encodeURIComponent(device)}`;

/** A key for a device, and what the server keeps of it. */
export function newKey() {
  const [key, salt] = [randomBytes(32).toString("hex"), randomBytes(16)];
  const { stored, server } = keysOf(key, salt, KEY_ROUNDS);
  return [key, [salt, stored, server, KEY_ROUNDS]];
}

/** `tieline://HOST:PORT/ACCOUNT?pin=PIN#ID-SECRET` as what `Link.open` takes. */
export function ticketOf(text) {
  const { hostname, port, searchParams, hash } = new URL(text);
  const [host, secret] = [hostname.replace(/^\[|\]$/g, ""), hash.slice(1)];
  const user = `ticket/${secret.split("-")[0]}`;
  return { host, port: Number(port || 7788), pin: searchParams.get("pin"), user, secret };
}

/** The client's half of one login: `first` and `proof` are its two messages, `verify` takes the server's last. */
export class Scram {
  #nonce = randomBytes(24).toString("hex");

  constructor({ user, secret }, certificate) {
    this.secret = secret;
    this.least = user.endsWith("/password") ? PASSWORD_ROUNDS : KEY_ROUNDS; // fewer would make it cheap to guess at
    this.mechanism = certificate ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
    this.flag = certificate ? "p=tls-server-end-point,," : "n,,";
    this.binding = Buffer.concat([Buffer.from(this.flag), certificate ? sha256(certificate) : Buffer.alloc(0)]);
    this.bare = `n=${user},r=${this.#nonce}`;
  }

  first() {
    return Buffer.from(this.flag + this.bare);
  }

  proof(challenge) {
    const parts = challenge.toString().split(",");
    const { r: nonce, s: salt, i: rounds } = Object.fromEntries(parts.map((part) => [part[0], part.slice(2)]));
    if (!nonce?.startsWith(this.#nonce)) throw new Error("the server's nonce does not begin with ours");
    if (!(rounds >= this.least && rounds <= MOST_ROUNDS)) throw new Error(`the server asks for ${rounds} rounds`);
    const keys = keysOf(this.secret, Buffer.from(salt, "base64"), Number(rounds));
    const unproven = `c=${this.binding.toString("base64")},r=${nonce}`;
    const said = `${this.bare},${challenge},${unproven}`;
    const signature = hmac(keys.stored, said);
    const proof = Buffer.from(keys.client.map((byte, i) => byte ^ signature[i]));
    this.expected = `v=${hmac(keys.server, said).toString("base64")}`;
    return Buffer.from(`${unproven},p=${proof.toString("base64")}`);
  }

  verify(data) {
    if (data.toString() !== this.expected) throw new Error("this server does not know our secret: it is not ours");
  }
}
