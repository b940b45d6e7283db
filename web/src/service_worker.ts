/** Keeps the files of the page, so that it works without a network. */

import { PREFIX } from "./cache";

interface Scope extends ServiceWorkerGlobalScope {
  /** The names of these files; those of other models, kept once they were used; and a name for this version of them
   * all: files.js has all three. */
  FILES: string[];
  LATER: string[];
  VERSION: string;
}

const scope = self as unknown as Scope;
scope.importScripts("files.js");
const NAME = PREFIX + scope.VERSION;

/** Keeps the files of this version. It serves no page that an older version has begun to load: the browser waits until
 * the last of these is closed, so that no page mixes the files of two versions. */
async function keep(): Promise<void> {
  const cache = await caches.open(NAME);
  for (const name of scope.FILES) {
    // The browser asks whether its own copy is still that of the server: this may be a new version of the page.
    if (!(await cache.match(name))) await cache.add(new Request(name, { cache: "no-cache" }));
  }
}

/** Forgets the caches of earlier versions of this page. */
async function forgetOthers(): Promise<void> {
  const names = await caches.keys();
  const older = names.filter((name) => name.startsWith(PREFIX) && name !== NAME);
  await Promise.all(older.map((name) => caches.delete(name)));
  await scope.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(NAME);
  return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request);
}

scope.oninstall = (event) => event.waitUntil(keep());
scope.onactivate = (event) => event.waitUntil(forgetOthers());
scope.onfetch = (event) => {
  const { url, method } = event.request;
  const names = [...scope.FILES, ...scope.LATER];
  const isOurs = names.some((name) => new URL(name, scope.registration.scope).href === url.replace(/[?#].*/, ""));
  if (method === "GET" && isOurs) event.respondWith(answer(event.request));
};
