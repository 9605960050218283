// Writes dist/lib (the library with its declarations) and dist/page (the demo page, as the server embeds it).

import { execFileSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
for (const folder of ["dist/lib", "dist/page"]) rmSync(folder, { recursive: true, force: true });

const shared = { bundle: true, format: "esm", target: "es2022", logLevel: "warning", legalComments: "none" };
await build({ ...shared, entryPoints: ["src/main/hearsight.ts"], outfile: "dist/lib/hearsight.js", sourcemap: true });
await build({ ...shared, entryPoints: ["src/worklet/level.ts"], outfile: "dist/lib/level-worklet.js" });
await build({ ...shared, entryPoints: ["src/worker/soften.ts"], outfile: "dist/lib/soften-worker.js" });
await build({ ...shared, entryPoints: ["src/main/page/app.ts"], outfile: "dist/page/app.js", minify: true });
await build({ ...shared, entryPoints: ["src/worklet/level.ts"], outfile: "dist/page/worklet.js", minify: true });
await build({ ...shared, entryPoints: ["src/worker/soften.ts"], outfile: "dist/page/soften-worker.js", minify: true });
await build({ ...shared, entryPoints: ["page/style.css"], outfile: "dist/page/style.css", minify: true });
for (const file of ["index.html", "icon.svg"]) cpSync(`page/${file}`, `dist/page/${file}`);
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.types.json"], { stdio: "inherit" });
console.log("web-client: dist/lib and dist/page are written");
