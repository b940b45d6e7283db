// Builds the page into the Python package. `rnncodec web` writes it from there, beside an exported network.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const out = "../src/rnncodec/export/page";
const runtime = "ort-wasm-simd-threaded.wasm"; // without WebGPU and WebNN, which take twice the bytes

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await build({
  entryPoints: ["src/page.ts", "src/worker.ts", "src/service_worker.ts"],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
});
for (const name of ["index.html", "page.css"]) await copyFile(`src/${name}`, `${out}/${name}`);
await copyFile("onnxruntime-license.txt", `${out}/onnxruntime-license.txt`);

// 14 MB of WebAssembly, but a sixth of that in xz, which Python unpacks.
const command = ["--format=xz", "-9e", "--threads=1", "--stdout", `node_modules/onnxruntime-web/dist/${runtime}`];
await writeFile(`${out}/${runtime}.xz`, execFileSync("xz", command, { maxBuffer: 2 ** 28 }));

// What the page was built from: a test finds out if it is older than its sources.
const sources = ["package-lock.json", ...(await readdir("src")).map((name) => `src/${name}`)].sort();
const hash = createHash("sha256");
for (const name of sources) hash.update(name).update(await readFile(name));
await writeFile("../src/rnncodec/export/sources.sha256", `${hash.digest("hex")}\n`);
