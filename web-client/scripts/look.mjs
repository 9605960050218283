// Takes pictures of the page's views, driven by tests/harness, in Chromium: `node scripts/look.mjs OUTPUT_FOLDER`.

import { mkdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("..", import.meta.url));
const output = process.argv[2] ?? join(root, "dist/pictures");
mkdirSync(output, { recursive: true });
const bundle = await build({ entryPoints: [join(root, "tests/harness/harness.ts")], bundle: true, format: "esm", write: false, logLevel: "warning" });

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  for (const [name, colorScheme, width, height, query] of [
    ["light", "light", 1280, 900, ""],
    ["dark", "dark", 1280, 900, ""],
    ["phone-light", "light", 390, 844, ""],
    ["phone-dark", "dark", 390, 844, "?error"],
    ["narrow", "light", 360, 740, ""],
    ["still", "light", 1280, 900, "?still"],
    ["error", "light", 1280, 900, "?error"],
  ]) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme, deviceScaleFactor: width < 500 ? 2 : 1 });
    page.on("pageerror", (error) => console.error(name, error));
    await page.route("http://localhost/**", (route) => {
      const path = new URL(route.request().url()).pathname;
      const file = path === "/" ? "index.html" : path.slice(1);
      const body = file === "app.js" ? bundle.outputFiles[0].text : readFileSync(join(root, "page", file), "utf8");
      return route.fulfill({ contentType: TYPES[extname(file)], body });
    });
    await page.goto(`http://localhost/${query}`);
    const wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
    if (wider > 0) console.error(`${name}: ${wider} pixels wider than the window`);
    await page.screenshot({ path: join(output, `${name}.png`), fullPage: true });
    await page.close();
  }
} finally {
  await browser.close();
}
