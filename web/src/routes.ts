/** Every screen with its address, and which of them stand in the navigation. A screen is loaded when it is first opened. */
import type { IconName } from "./components/Icon.svelte";
import type { Route } from "./lib/router.svelte";

/** The first that fits is shown. */
export const routes: readonly Route[] = [
  { path: "/", title: "Overview", load: () => import("./screens/Overview.svelte") },
  { path: "/live", title: "Live", load: () => import("./screens/Live.svelte") },
  { path: "/calls", title: "Calls", load: () => import("./screens/Calls.svelte") },
  { path: "/calls/:id", title: "Call", load: () => import("./screens/Call.svelte") },
  { path: "/bots", title: "Bots", load: () => import("./screens/Bots.svelte") },
  { path: "/numbers", title: "Numbers and trunks", load: () => import("./screens/Numbers.svelte") },
  { path: "/talk", title: "Talk", load: () => import("./screens/Talk.svelte") },
  { path: "/deliveries", title: "Deliveries", load: () => import("./screens/Deliveries.svelte") },
  { path: "/docs", title: "API", load: () => import("./screens/Docs.svelte"), isOpen: true },
];

export interface NavigationItem {
  readonly path: string;
  readonly text: string;
  readonly icon: IconName;
  /** The second key behind `g`. */
  readonly key: string;
}

/** The navigation, in groups. */
export const navigation: readonly (readonly NavigationItem[])[] = [
  [
    { path: "/", text: "Overview", icon: "overview", key: "o" },
    { path: "/live", text: "Live", icon: "live", key: "l" },
    { path: "/calls", text: "Calls", icon: "calls", key: "c" },
    { path: "/talk", text: "Talk", icon: "talk", key: "t" },
  ],
  [
    { path: "/bots", text: "Bots", icon: "bots", key: "b" },
    { path: "/numbers", text: "Numbers and trunks", icon: "numbers", key: "n" },
    { path: "/deliveries", text: "Deliveries", icon: "deliveries", key: "d" },
    { path: "/docs", text: "API", icon: "docs", key: "a" },
  ],
];
