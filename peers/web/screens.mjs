// Every screen of the dashboard. `path` may ask the server for an id first; `ready` is there once the screen shows what it is for;
// `use` uses it, by keyboard wherever that is possible, and throws where it does not do what it should. `allowed` are errors that
// the use provokes.
const text = (page, selector) => page.locator(selector).first().innerText();
async function expectText(page, selector, wanted) {
  await page.locator(selector, { hasText: wanted }).first().waitFor({ timeout: 5_000 });
}

export const screens = [
  {
    name: "overview",
    path: () => "/",
    ready: "figure svg[role=img] rect",
    async use(page) {
      await expectText(page, "section", "given up");
      const button = page.getByRole("button", { name: "Calls per minute as a table" });
      await button.focus();
      await page.keyboard.press("Enter");
      const rows = await page.locator("figure table tbody tr").count();
      if (rows !== 60) throw new Error(`the table of the chart has ${rows} rows, not 60`);
      await page.keyboard.press("Enter");
      await page.locator("figure svg[role=img]").focus();
      await page.keyboard.press("End");
      await expectText(page, "figure [role=status]", "Completed");
      await page.getByLabel("24 h", { exact: true }).check();
      await page.getByRole("heading", { name: "Calls per hour" }).waitFor();
      await page.getByLabel("24 h", { exact: true }).blur();
      await page.keyboard.press("?");
      await expectText(page, "dialog[open]", "Keyboard shortcuts");
      await page.keyboard.press("Escape");
      await page.locator("dialog[open]").waitFor({ state: "detached" });
      await page.keyboard.press("g");
      await page.keyboard.press("l");
      await page.locator("h1:focus", { hasText: "Live" }).waitFor();
      await page.keyboard.press("g");
      await page.keyboard.press("o");
      await page.locator("h1:focus", { hasText: "Overview" }).waitFor();
    },
  },
  {
    name: "live",
    path: () => "/live",
    ready: "tbody td .who",
    async use(page) {
      const before = await page.locator("tbody .who").count();
      await page.keyboard.press("/");
      await page.keyboard.type("no such caller");
      await expectText(page, "main", "No call that is up fits");
      await page.keyboard.press("Control+A");
      await page.keyboard.press("Delete");
      await page.locator("tbody .who").first().waitFor();
      await page.getByRole("button", { name: /^Listen to the call/ }).first().focus();
      await page.keyboard.press("Enter");
      await expectText(page, "dialog[open] [role=status]", "Listening");
      await page.keyboard.press("Escape");
      await page.locator("dialog[open]").waitFor({ state: "detached" });
      await page.getByRole("button", { name: /^Transfer the call/ }).first().focus();
      await page.keyboard.press("Enter");
      await expectText(page, "dialog[open] pre", "/transfer");
      await page.keyboard.press("Escape");
      await page.locator("dialog[open]").waitFor({ state: "detached" });
      await page.getByRole("button", { name: /^Hang up the call/ }).last().focus();
      await page.keyboard.press("Enter");
      await expectText(page, "dialog[open] pre", "curl -X POST");
      await page.getByRole("button", { name: "Hang up", exact: true }).focus();
      await page.keyboard.press("Enter");
      await expectText(page, "[role=status]", "The call ends.");
      await page.waitForFunction((count) => document.querySelectorAll("tbody .who").length < count, before, { timeout: 5_000 });
      // An answer that takes longer than the time between two askings comes all the same.
      await page.route("**/live", async (route) => {
        await new Promise((resolve) => setTimeout(resolve, 2_500));
        await route.continue().catch(() => {});
      });
      await page.reload();
      await page.locator("tbody .who").first().waitFor({ timeout: 10_000 });
      await page.unroute("**/live");
      // The screen of a call that is up grows with it, and stays as somebody left it.
      await page.locator("tbody .who").first().focus();
      await page.keyboard.press("Enter");
      await page.locator(".axis .place").first().waitFor();
      await page.locator("#page-title").focus();
      for (const key of ["ArrowRight", "+", "+"]) await page.keyboard.press(key);
      const left = () => page.locator(".axis .place, .clock strong").allInnerTexts();
      const [seen, length] = [(await left()).join(), await text(page, ".clock span")];
      await page.waitForFunction((then) => document.querySelector(".clock span").innerText !== then, length, { timeout: 10_000 });
      if ((await left()).join() !== seen) throw new Error("the axis of a call that is up does not stay as it was left");
    },
  },
  {
    name: "calls",
    path: () => "/calls",
    ready: "tbody a.call",
    async use(page) {
      const rows = () => page.locator("tbody a.call").count();
      const first = await rows();
      await page.locator("tbody a.call").last().scrollIntoViewIfNeeded();
      await page.waitForFunction((before) => document.querySelectorAll("tbody a.call").length > before, first);
      await page.keyboard.press("/");
      await page.keyboard.type("DIESEL automatic");
      await page.waitForFunction(() => document.querySelectorAll("tbody a.call").length === 1 && location.hash.includes("q="));
      await expectText(page, "tbody tr", "<b>98765</b>43210");
      for (const badge of ["Transfer", "Recording", "Fields", "Unheard"]) await expectText(page, "tbody tr", badge);
      await page.getByRole("button", { name: /^Search DIESEL/ }).focus();
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelectorAll("tbody a.call").length > 10);
      await page.getByRole("button", { name: "More", exact: true }).focus();
      await page.keyboard.press("Enter");
      await page.getByLabel("Bot's words").selectOption("true");
      await page.waitForFunction(() => document.querySelectorAll("tbody a.call").length === 1);
      const csv = await page.evaluate(async () => (await fetch(document.querySelector("a[download='calls.csv']").href)).text());
      if (csv.trim().split("\r\n").length !== 2) throw new Error(`the file has ${csv.split("\r\n").length} lines`);
      await page.locator("#page-title").focus();
      await page.keyboard.press("j");
      await page.keyboard.press("Enter");
      await page.locator(".picture").waitFor();
    },
  },
  {
    name: "call",
    path: async (base) => `/calls/${(await (await fetch(`${base}/calls?unheard=true`)).json()).data[0].call_id}`,
    ready: ".picture svg path",
    async use(page) {
      const at = () => page.locator(".clock strong").innerText();
      await page.locator("#page-title").focus();
      for (const _ of [1, 2, 3]) await page.keyboard.press("j");
      await expectText(page, "li.chosen", "fourteen lakh");
      await expectText(page, "li.chosen s", "panoramic sunroof");
      await expectText(page, "li.chosen", "Interrupted");
      if ((await page.locator("button.words.chosen").count()) !== 1) throw new Error("the line is not marked in the picture");
      const zoomed = await page.locator(".axis .place").first().innerText();
      await page.keyboard.press("0");
      await page.waitForFunction((before) => document.querySelector(".axis .place").textContent !== before, zoomed);
      await page.keyboard.press("k");
      await expectText(page, "li.chosen", "price of the XUV");
      const before = await at();
      await page.keyboard.press("ArrowRight");
      if ((await at()) === before) throw new Error("the arrow key does not move the cursor");
      // The line that is heard is marked while it plays.
      await page.getByRole("button", { name: /^Go to 0:01/ }).click();
      await page.locator("#page-title").focus();
      await page.keyboard.press(" ");
      await page.getByRole("button", { name: /^Pause/ }).waitFor();
      const playing = await at();
      await page.waitForFunction((then) => document.querySelector(".clock strong").textContent !== then, playing);
      await expectText(page, "li.chosen", "Namaskar");
      await page.keyboard.press(" ");
      await page.getByRole("button", { name: /^Play/ }).waitFor();
      // A key that presses the button with the focus, or moves along the chart with it, does not play or move the cursor as well.
      await page.getByRole("button", { name: "As a table" }).first().focus();
      await page.keyboard.press(" ");
      for (const told of ["The caller spoke over the bot", "<u>resp_0: played", "09876543211: busy", "486 Busy"]) await expectText(page, ".table td", told);
      await page.keyboard.press(" ");
      await page.locator(".picture").waitFor();
      if ((await page.getByRole("button", { name: /^Play/ }).count()) !== 1) throw new Error("the space bar on a button plays");
      const stood = await at();
      await page.locator("figure svg[role=img]").first().focus();
      await page.keyboard.press("ArrowRight");
      await page.waitForFunction(() => document.querySelector("figure [role=status]")?.textContent !== "");
      if ((await at()) !== stood) throw new Error("an arrow key on the chart moves the cursor");
      await expectText(page, "main", "Gulshan Mehta. <img src=x");
      if ((await page.locator("main img").count()) > 0) throw new Error("what somebody said became markup");
      if ((await page.title()).includes("owned")) throw new Error("what somebody said was run");
    },
  },
  {
    name: "bots",
    path: () => "/bots",
    ready: "tbody td a",
    async use(page) {
      await expectText(page, "main", "bots.example.com");
      const talk = await page.getByRole("link", { name: "Try it" }).first().getAttribute("href");
      if (!talk?.startsWith("#/talk?bot=")) throw new Error(`a bot is tried at ${talk}`);
    },
  },
  {
    name: "numbers",
    path: () => "/numbers",
    ready: "tbody td",
    async use(page) {
      await page.getByRole("button", { name: "Test call" }).focus();
      await page.keyboard.press("Enter");
      const call = page.locator("dialog[open]").getByRole("button", { name: /^Call/ });
      if ((await call.getAttribute("aria-disabled")) !== "true") throw new Error("nobody can be called");
      await page.getByLabel("Call", { exact: true }).fill("12");
      await call.focus();
      await page.keyboard.press("Enter");
      await page.locator("dialog[open] [role=alert]").waitFor();
      await page.keyboard.press("Escape");
    },
    allowed: ["403 from POST /calls", "status of 403"],
  },
  {
    name: "deliveries",
    path: () => "/deliveries",
    ready: "tbody td button",
    async use(page) {
      await page.getByRole("radio", { name: "Extractions" }).check();
      await expectText(page, "tbody", "On its way");
      await page.getByRole("radio", { name: "Callbacks" }).check();
      await page.getByRole("radio", { name: "Given up" }).check();
      await page.waitForFunction(() => location.hash.includes("state=dead"));
      await page.locator("tbody tr.marked").first().waitFor();
      await page.locator("tbody td button").first().focus();
      await page.keyboard.press("Enter");
      await expectText(page, "dialog[open] pre", "{");
      await page.locator("dialog[open]").getByRole("button", { name: "Send again" }).focus();
      await page.keyboard.press("Enter");
      await expectText(page, "dialog[open]", "Send again?");
      await page.locator("dialog[open]").getByRole("button", { name: "Send again" }).focus();
      await page.keyboard.press("Enter");
      await expectText(page, "[role=status]", "on its way again");
    },
  },
  {
    name: "docs",
    path: () => "/docs?request=place_call",
    ready: "details[open] form button",
    async use(page) {
      await page.getByText("Its fields").first().focus();
      await page.keyboard.press("Enter");
      await page.locator("details details[open] dt").first().waitFor();
      await page.keyboard.press("/");
      await page.keyboard.type("get health");
      const health = page.locator("summary", { hasText: "/health" });
      await health.focus();
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Send", exact: true }).focus();
      await page.keyboard.press("Enter");
      await expectText(page, "[role=status]", "200");
      await expectText(page, "details[open] pre[aria-label=Answer]", "{");
      await page.goto(`${new URL(page.url()).origin}/docs/`);
      await page.getByRole("heading", { name: "API", exact: true }).waitFor();
      await page.locator("summary", { hasText: "Place a call" }).waitFor();
    },
  },
  {
    name: "nowhere",
    path: () => "/nowhere/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
    ready: "#page-title",
    async use(page) {
      if ((await page.locator("main img").count()) > 0) throw new Error("an address became markup");
      await expectText(page, "main", "There is no screen at this address");
      if (!(await text(page, "main code")).includes("nowhere")) throw new Error("the address is not told");
    },
  },
];
