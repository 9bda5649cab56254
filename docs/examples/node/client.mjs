/**
 * A client of a Tieline server with nothing but Node.js (18 or later), written from docs/protocol.md; tour.mjs uses it.
 *
 *     const device = await enrol(ticket, "laptop"); // once; keep what it returns, the key is in it
 *     const link = await Link.open(device);
 *     await link.call("echo.upper", { text: "hello" });
 *     for await (const n of link.stream("echo.count", { to: 3 })) … // leaving the loop cancels the call
 *     await link.offer({ greet: ({ name }, origin) => `hello ${name}` });
 */

import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import net from "node:net";
import tls from "node:tls";

import { ELEMENT, FRAME, frame, frames, HEADER, Kind, PREFACE, WINDOW } from "./frames.mjs";
import { newKey, pinOf, Scram, ticketOf, userOf } from "./login.mjs";

const SILENCE = 20_000; // milliseconds, after which the other side is pinged; after twice that it is gone

// -- calls ---------------------------------------------------------------------------------------------------------

export class CallError extends Error {
  constructor(code, message, data = null) {
    super(message);
    Object.assign(this, { code, data });
  }
}

/** One call as either side sees it. `for await` reads it; a caller who leaves that loop early cancels the call. */
class Channel extends EventEmitter {
  constructor(link, id, ours) {
    super();
    Object.assign(this, { link, id, ours, credit: link.peerWindow, used: 0, waiting: [], over: false });
    link.channels.set(id, this);
  }

  change(facts) {
    Object.assign(this, facts);
    if (this.over) this.link.channels.delete(this.id);
    this.emit("change");
  }

  heard(kind, value, size) {
    if (kind === Kind.RESULT) this.change({ over: true, result: value });
    else if (kind === Kind.ERROR) this.change({ over: true, error: new CallError(...value) });
    else if (kind === Kind.CANCEL) this.change({ over: true, error: new CallError("cancelled", value) });
    else if (kind === Kind.END) this.change({ over: this.ours, ended: true });
    else if (kind === Kind.CREDIT) this.change({ credit: this.credit + value });
    else {
      this.waiting.push([value, size + ELEMENT]);
      this.change();
    }
  }

  /** Say the last word, unless it has been said. */
  finish(kind, value) {
    if (this.over) return;
    this.link.send(kind, this.id, value);
    this.change({ over: true });
  }

  async *[Symbol.asyncIterator]() {
    try {
      while (true) {
        while (this.waiting.length) {
          const [value, cost] = this.waiting.shift();
          this.consumed(cost);
          yield value;
        }
        if (this.error) throw this.error;
        if (this.over || this.ended) return;
        await once(this, "change");
      }
    } finally {
      if (this.ours) this.finish(Kind.CANCEL, "not wanted any more");
    }
  }

  consumed(cost) {
    this.used += cost;
    if (this.used < WINDOW / 2 || this.over) return;
    this.link.send(Kind.CREDIT, this.id, this.used);
    this.used = 0;
  }

  /** Send a whole stream as fast as it is read there: bytes as DATA, all else as ITEM. */
  async sendAll(stream) {
    for await (const value of stream) {
      while (this.credit <= 0 && !this.over) await once(this, "change");
      if (this.over) return;
      this.credit -= this.link.send(value instanceof Uint8Array ? Kind.DATA : Kind.ITEM, this.id, value) + ELEMENT;
    }
  }

  async sendInput(stream) {
    try {
      await this.sendAll(stream);
      if (!this.over) this.link.send(Kind.END, this.id);
    } catch (error) {
      this.finish(Kind.CANCEL, "the caller's stream failed");
      this.change({ error });
    }
  }

  async answer(run, params, origin, streaming) {
    try {
      const answer = await run(params, origin, streaming ? this : null);
      if (!answer?.[Symbol.asyncIterator]) return this.finish(Kind.RESULT, answer);
      await this.sendAll(answer);
      this.finish(Kind.END);
    } catch (error) {
      const { code, message, data } = error instanceof CallError ? error : { code: "internal", message: error.message };
      this.finish(Kind.ERROR, [code, message, data]);
    }
  }
}

// -- the link ------------------------------------------------------------------------------------------------------

/** `link.on("event", (topic, position, value) => …)` hears topics, `link.on("close", (reason) => …)` the end. */
export class Link extends EventEmitter {
  #last = -1;
  #methods = new Map();
  #instance = randomBytes(16).toString("hex");
  #leaving = false;
  channels = new Map();

  /** Log in, as `enrol` says or by `{ host, port, pin, user, secret }`. With `plain: true`, without TLS. */
  static async open(device) {
    const link = new Link();
    const certificate = await link.#dial(device);
    link.frames = frames(link.socket, () => (link.heardAt = Date.now()));
    link.socket.write(PREFACE);
    link.send(Kind.HELLO, 0, [[1], "client.mjs", FRAME, WINDOW]);
    [, , , link.peerWindow] = await link.expect(Kind.HELLO);
    await link.#login(new Scram(device, certificate));
    link.#run();
    return link;
  }

  async #login(scram) {
    this.send(Kind.AUTH, 0, [scram.mechanism, scram.first()]);
    const [, challenge] = await this.expect(Kind.AUTH);
    this.send(Kind.AUTH, 0, [scram.mechanism, scram.proof(challenge)]);
    const [account, device, scopes, server, data] = await this.expect(Kind.WELCOME);
    scram.verify(data);
    Object.assign(this, { account, device, scopes, server });
  }

  async #dial({ host, port, pin, plain }) {
    const secure = { host, port, minVersion: "TLSv1.3", ALPNProtocols: ["tieline/1"], rejectUnauthorized: !pin };
    this.socket = plain ? net.connect(port, host) : tls.connect(secure);
    await once(this.socket, plain ? "connect" : "secureConnect");
    this.socket.setNoDelay();
    if (plain) return null;
    const certificate = this.socket.getPeerCertificate().raw;
    if (!pin || pinOf(certificate) === pin) return certificate;
    this.socket.destroy();
    throw new Error("the server shows another certificate than the pinned one");
  }

  /** Returns the size of the payload. */
  send(kind, channel, value) {
    const bytes = frame(kind, channel, value);
    this.socket.write(bytes);
    return bytes.length - HEADER;
  }

  /** The value of the next frame of the opening. */
  async expect(wanted) {
    const { value: [kind, , value] = [] } = await this.frames.next();
    if (kind === wanted) return value;
    this.socket.destroy();
    throw new Error(kind === Kind.GOAWAY ? value[0] : "the server hung up");
  }

  async #run() {
    const watch = setInterval(() => this.#watch(), SILENCE / 4);
    let reason = "the connection ended";
    try {
      for await (const [kind, channel, value, size] of this.frames) {
        if (kind === Kind.GOAWAY) [this.#leaving, reason] = [true, value[0]];
        else if (kind === Kind.PING) this.send(Kind.PONG, 0);
        else if (kind === Kind.EVENT) this.emit("event", ...value);
        else if (kind === Kind.CALL) this.#called(channel, ...value);
        else this.channels.get(channel)?.heard(kind, value, size); // else it came late, and is dropped
        if (this.#leaving && !this.channels.size) break; // the other side waits for that
      }
    } catch (error) {
      reason = error.message;
    }
    clearInterval(watch);
    this.socket.destroy();
    for (const each of this.channels.values()) each.change({ over: true, error: new CallError("unavailable", reason) });
    this.emit("close", reason);
  }

  #watch() {
    const silent = Date.now() - this.heardAt;
    if (silent > 2 * SILENCE) this.socket.destroy(new Error("nothing was heard for too long"));
    else if (silent > SILENCE) this.send(Kind.PING, 0);
  }

  /** A call that answers with a stream. `input` is a stream of the caller's, `timeout` in seconds. */
  stream(method, params = {}, { timeout = null, input = null } = {}) {
    if (this.#leaving) throw new CallError("unavailable", "the server takes no more calls on this link");
    const channel = new Channel(this, (this.#last += 2), true);
    this.send(Kind.CALL, channel.id, [method, params, timeout, input !== null]);
    if (input) channel.sendInput(input);
    return channel;
  }

  async call(method, params, options) {
    const channel = this.stream(method, params, options);
    for await (const _ of channel) throw new Error(`${method} answers with a stream`);
    return channel.result;
  }

  /** Let others call these as `DEVICE/name`: `(params, origin, input) => value`; async generators give streams. */
  offer(methods) {
    const notices = { gone: () => null, revoked: () => null }; // of callers who left, or whose rights did
    this.#methods = new Map(Object.entries({ ...notices, ...methods }));
    const offers = Object.keys(methods).map((name) => ({ name }));
    return this.call("machines.offer", { methods: offers, instance: this.#instance });
  }

  #called(channel, method, params, timeout, streaming, origin) {
    const missing = () => {
      throw new CallError("not_found", `there is no ${method} here`);
    };
    const run = this.#methods.get(method.slice(1)) ?? missing; // behind the slash
    new Channel(this, channel, false).answer(run, params, origin, streaming);
  }

  /** End the link when what was said has gone out. */
  close() {
    this.socket.end();
  }
}

/** Turn a ticket into a device by a key that is made here and stays here. Returns what logs in from now on. */
export async function enrol(text, device, options = {}) {
  const ticket = { ...ticketOf(text), ...options };
  const link = await Link.open(ticket);
  const [secret, verifier] = newKey();
  const enrolled = await link.call("accounts.enrol", { device, verifier });
  link.close();
  return { ...ticket, user: userOf(enrolled), secret };
}
