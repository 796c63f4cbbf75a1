/** How the dashboard is built: hashed files, nothing inline, and each text beside its brotli and gzip forms. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

/** The server sends what is compressed here, so that it compresses nothing itself. */
function precompressed(): Plugin {
  let folder = "";
  return {
    name: "precompressed",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    async closeBundle() {
      // The folder is in the tree, with nothing in it: Cargo watches it.
      await writeFile(join(folder, ".gitignore"), "*\n!.gitignore\n");
      const names = await readdir(folder, { recursive: true });
      for (const name of names.filter((name) => /\.(js|css|html|svg|webmanifest)$/.test(name))) {
        const path = join(folder, name);
        const text = await readFile(path);
        const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
        await writeFile(`${path}.br`, brotliCompressSync(text, quality));
        await writeFile(`${path}.gz`, gzipSync(text, { level: 9 }));
      }
    },
  };
}

/** `npm run dev` serves the sources and asks this server for everything else. */
const server = process.env.PATCHCORD_URL ?? "http://127.0.0.1:8080";
const resources =
  "^/(session|overview|live|calls|events|callbacks|extractions|bots|numbers|trunks|extensions|health|ready|metrics|docs|openapi.json|talk/|ws)";

export default defineConfig({
  plugins: [svelte(), precompressed()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    cssCodeSplit: false,
  },
  server: { proxy: { [resources]: { target: server, ws: true } } },
});
