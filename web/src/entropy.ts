/** All that turns the bytes of a file into codes and back; it needs no network. */

export { Reader, write } from "./bitstream";
export { contextModel } from "./contexts";
export { FormatError } from "./errors";
export { Layers } from "./layers";
