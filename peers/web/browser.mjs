// Chromium (Debian's) and what is always looked at: errors on the console, requests that fail or go elsewhere, what axe finds,
// how soon a screen shows something, how much JavaScript it took.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const themes = ["light", "dark"];
export const widths = [1440, 390];

// A browser; `fakeMicrophone` is a WAV that its microphone hears, over and over.
export async function openBrowser({ fakeMicrophone } = {}) {
  const sound = fakeMicrophone
    ? ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${fakeMicrophone}`]
    : [];
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", ...sound],
  });
}

// A page with nothing remembered. Whatever goes wrong on it is added to `violations`; `allowed` are texts of errors that are meant.
export async function openPage(browser, { base, theme = "light", width = 1440, violations, allowed = [] }) {
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 844 : 900 },
    colorScheme: theme,
    reducedMotion: "reduce",
    permissions: ["microphone"],
  });
  const page = await context.newPage();
  const where = () => `${new URL(page.url() || base).hash || "/"} (${theme}, ${width})`;
  const wrong = (text) => {
    if (!allowed.some((part) => text.includes(part))) violations.push(`${where()}: ${text}`);
  };
  const script = new Map();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong(`console ${message.type()}: ${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => wrong(`exception: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    const isOwn = url.origin === new URL(base).origin || ["data:", "blob:"].includes(url.protocol);
    if (!isOwn) wrong(`asks elsewhere: ${url.origin}`);
  });
  page.on("response", async (response) => {
    if (response.status() >= 400) wrong(`${response.status()} from ${response.request().method()} ${new URL(response.url()).pathname}`);
    const headers = response.headers();
    if (headers["content-type"]?.includes("javascript") && headers["content-length"]) {
      script.set(response.url(), Number(headers["content-length"]));
    }
  });
  await page.addInitScript(() => {
    // When what a screen is for first stands there: the watch begins with the document.
    window.__seen = {};
    const look = () => {
      const wanted = window.__wanted ?? sessionStorage.getItem("wanted");
      if (wanted && window.__seen[wanted] === undefined && document.querySelector(wanted)) {
        requestAnimationFrame(() => {
          window.__seen[wanted] ??= performance.now();
        });
      }
    };
    new MutationObserver(look).observe(document, { childList: true, subtree: true, attributes: true });
  });
  return { context, page, script, wrong };
}

// Opens an address anew and says after how many milliseconds `ready` stood there.
export async function timed(page, url, ready) {
  await page.addInitScript((wanted) => {
    window.__wanted = wanted;
  }, ready);
  await page.goto("about:blank");
  await page.goto(url);
  await page.waitForFunction((wanted) => window.__seen?.[wanted] !== undefined, ready, { timeout: 15_000 });
  return page.evaluate((wanted) => window.__seen[wanted], ready);
}

// What axe finds that is serious or critical, in words.
export async function judge(page) {
  await page.evaluate(axeSource);
  const found = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  const grave = found.violations.filter((violation) => ["serious", "critical"].includes(violation.impact));
  return grave.flatMap((violation) =>
    violation.nodes.slice(0, 3).map((node) => `axe ${violation.id} (${violation.impact}): ${node.target.join(" ")} ${node.html.slice(0, 160)} ${node.any.map((check) => check.message).join("; ").slice(0, 200)}`),
  );
}

// Walks with the Tab key from the top: every stop is seen, and has a name. Gives the names.
export async function walk(page, stops) {
  await page.evaluate(() => document.activeElement?.blur?.());
  const names = [];
  for (let stop = 0; stop < stops; stop += 1) {
    await page.keyboard.press("Tab");
    const told = await page.evaluate(() => {
      const at = document.activeElement;
      if (!at || at === document.body) return undefined;
      const drawn = (element) => element && getComputedStyle(element).outlineStyle !== "none" && parseFloat(getComputedStyle(element).outlineWidth) > 0;
      const name = at.getAttribute("aria-label") || at.labels?.[0]?.textContent || at.textContent || at.getAttribute("placeholder") || at.title;
      return { name: (name ?? "").trim().slice(0, 60), isSeen: Boolean(drawn(at) || drawn(at.closest("label"))), html: at.outerHTML.slice(0, 120) };
    });
    if (!told) break;
    if (!told.isSeen) throw new Error(`the focus is not seen on ${told.html}`);
    if (!told.name) throw new Error(`no name: ${told.html}`);
    names.push(told.name);
  }
  return names;
}

// The options of a command line: `--name value`.
export function options(argv) {
  const found = {};
  for (let at = 0; at < argv.length; at += 2) found[argv[at].replace(/^--/, "")] = argv[at + 1];
  return found;
}

// Prints the verdict and ends.
export function conclude(verdict) {
  console.log(`VERDICT ${JSON.stringify({ ok: verdict.violations.length === 0, ...verdict })}`);
  process.exit(verdict.violations.length === 0 ? 0 : 1);
}
