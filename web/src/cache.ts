/** The names of the page's own caches. Other pages of the same origin, copies of this one too, have others. */

/** What the name of each cache of the page in this folder begins with; the version follows. */
export const PREFIX = `rnncodec ${new URL("./", self.location.href).href} `;
