/** What is wrong with a file, in one sentence for the user. */
export class FormatError extends Error {}
