/** The frames of tieline/1: bytes from and to [kind, channel, value]. */

import { decode, encode } from "./msgpack.mjs";

const NAMES = "HELLO AUTH WELCOME CALL RESULT ERROR ITEM DATA CREDIT END CANCEL EVENT PING PONG GOAWAY".split(" ");
export const Kind = Object.fromEntries(NAMES.map((name, index) => [name, index + 1]));
export const PREFACE = Buffer.from("\xf7tieline/1\n", "latin1");
export const HEADER = 9;
export const FRAME = 1 << 20; // the largest payload that is accepted here
export const WINDOW = 1 << 18; // the credit that a stream to here begins with
export const ELEMENT = 64; // what an ITEM or DATA costs besides its payload
const EMPTY = [Kind.END, Kind.PING, Kind.PONG];

export function frame(kind, channel, value) {
  const payload = EMPTY.includes(kind) ? Buffer.alloc(0) : kind === Kind.DATA ? value : encode(value);
  const header = Buffer.alloc(HEADER);
  header.writeUInt32BE(payload.length, 0);
  header.writeUInt8(kind, 4);
  header.writeUInt32BE(channel, 5);
  return Buffer.concat([header, payload]);
}

/** What comes, as [kind, channel, value, size of the payload]. `alive` is called whenever bytes came. */
export async function* frames(socket, alive) {
  let [bytes, begun] = [Buffer.alloc(0), false];
  for await (const chunk of socket) {
    alive();
    bytes = Buffer.concat([bytes, chunk]);
    if (!begun && bytes.length >= PREFACE.length) {
      if (!bytes.subarray(0, PREFACE.length).equals(PREFACE)) throw new Error("this is no Tieline server");
      [bytes, begun] = [bytes.subarray(PREFACE.length), true];
    }
    while (begun && bytes.length >= HEADER) {
      const [size, kind, channel] = [bytes.readUInt32BE(0), bytes[4], bytes.readUInt32BE(5)];
      if (size > FRAME) throw new Error(`a frame of ${size} bytes came; ${FRAME} are the most`);
      if (bytes.length < HEADER + size) break;
      const payload = bytes.subarray(HEADER, HEADER + size);
      bytes = bytes.subarray(HEADER + size);
      const empty = EMPTY.includes(kind);
      yield [kind, channel, kind === Kind.DATA ? payload : empty ? null : decode(payload), size];
    }
  }
}
