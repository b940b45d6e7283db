/** The checks of the parts of a file, in each version of the format. */

/** Bytes of a check, by the version of the format. */
export const CHECK_SIZES: Record<number, number> = { 1: 2, 2: 4 };

/** Of a header with these fields. */
export function headerCheck(version: number, fields: Uint8Array): Uint8Array {
  return version === 1 ? crc16([fields]) : crc32([fields]);
}

/** Of the layer with this number, from 1: its length field and its payload. */
export function layerCheck(version: number, fields: Uint8Array, number: number, layer: Uint8Array[]): Uint8Array {
  return version === 1 ? crc16(layer) : crc32([fields, Uint8Array.of(number), ...layer]);
}

/** Of the block of metadata with this number, from 1: its kind and length field, and its content. */
export function blockCheck(version: number, fields: Uint8Array, number: number, block: Uint8Array[]): Uint8Array {
  return version === 1 ? crc16(block) : crc32([fields, Uint8Array.of(0, number), ...block]);
}

const TABLE_16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

/** CRC-16/XMODEM of the bytes of all parts, big-endian. */
function crc16(parts: Uint8Array[]): Uint8Array {
  let crc = 0;
  for (const part of parts) for (const byte of part) crc = ((crc << 8) & 0xffff) ^ TABLE_16[(crc >> 8) ^ byte];
  return Uint8Array.of(crc >> 8, crc & 0xff);
}

const TABLE_32 = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32, as in zlib and PNG, of the bytes of all parts, big-endian. */
function crc32(parts: Uint8Array[]): Uint8Array {
  let crc = 0xffffffff;
  for (const part of parts) for (const byte of part) crc = (crc >>> 8) ^ TABLE_32[(crc ^ byte) & 0xff];
  crc = ~crc;
  return Uint8Array.of(crc >>> 24, crc >>> 16, crc >>> 8, crc);
}
