/** MessagePack, as far as Tieline needs it: null, booleans, numbers, strings, bytes, arrays, and maps as objects. */

function number(kind, size, write) {
  const bytes = Buffer.alloc(1 + size, kind);
  write(bytes);
  return bytes;
}

function sized(length, [fixed, most], kinds) {
  if (length < most) return Buffer.of(fixed | length);
  if (kinds.length === 3 && length < 0x100) return Buffer.of(kinds[0], length);
  if (length < 0x10000) return number(kinds.at(-2), 2, (bytes) => bytes.writeUInt16BE(length, 1));
  return number(kinds.at(-1), 4, (bytes) => bytes.writeUInt32BE(length, 1));
}

export function encode(value) {
  if (value === null || value === undefined) return Buffer.of(0xc0);
  if (typeof value === "boolean") return Buffer.of(value ? 0xc3 : 0xc2);
  if (Number.isInteger(value) && value >= -32 && value < 128) return Buffer.of(value & 0xff);
  if (Number.isSafeInteger(value)) return number(0xd3, 8, (bytes) => bytes.writeBigInt64BE(BigInt(value), 1));
  if (typeof value === "number") return number(0xcb, 8, (bytes) => bytes.writeDoubleBE(value, 1));
  if (value instanceof Uint8Array) return Buffer.concat([sized(value.length, [0, 0], [0xc4, 0xc5, 0xc6]), value]);
  if (typeof value === "string") {
    const bytes = Buffer.from(value);
    return Buffer.concat([sized(bytes.length, [0xa0, 32], [0xd9, 0xda, 0xdb]), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([sized(value.length, [0x90, 16], [0xdc, 0xdd]), ...value.map(encode)]);
  const entries = Object.entries(value);
  return Buffer.concat([sized(entries.length, [0x80, 16], [0xde, 0xdf]), ...entries.flat().map(encode)]);
}

export function decode(bytes) {
  let at = 0;
  const take = (size) => {
    if (at + size > bytes.length) throw new Error("a MessagePack value is cut short");
    return bytes.subarray(at, (at += size));
  };
  const unsigned = (size) => (size < 8 ? take(size).readUIntBE(0, size) : Number(take(8).readBigUInt64BE()));
  const signed = (size) => (size < 8 ? take(size).readIntBE(0, size) : Number(take(8).readBigInt64BE()));
  const text = (size) => take(size).toString();
  const array = (size) => Array.from({ length: size }, value);
  const map = (size) => Object.fromEntries(Array.from({ length: size }, () => [value(), value()]));
  function value() {
    const kind = unsigned(1);
    if (kind < 0x80) return kind;
    if (kind < 0x90) return map(kind & 0x0f);
    if (kind < 0xa0) return array(kind & 0x0f);
    if (kind < 0xc0) return text(kind & 0x1f);
    if (kind >= 0xe0) return kind - 0x100;
    if (kind === 0xc0) return null;
    if (kind === 0xc2 || kind === 0xc3) return kind === 0xc3;
    if (kind >= 0xc4 && kind <= 0xc6) return take(unsigned(1 << (kind - 0xc4)));
    if (kind === 0xca) return take(4).readFloatBE();
    if (kind === 0xcb) return take(8).readDoubleBE();
    if (kind >= 0xcc && kind <= 0xcf) return unsigned(1 << (kind - 0xcc));
    if (kind >= 0xd0 && kind <= 0xd3) return signed(1 << (kind - 0xd0));
    if (kind >= 0xd9 && kind <= 0xdb) return text(unsigned(1 << (kind - 0xd9)));
    if (kind === 0xdc || kind === 0xdd) return array(unsigned(2 << (kind - 0xdc)));
    if (kind === 0xde || kind === 0xdf) return map(unsigned(2 << (kind - 0xde)));
    throw new Error(`no MessagePack value of ours begins with ${kind}`);
  }
  return value();
}
