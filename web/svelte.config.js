/** What the dashboard is written in: Svelte 5 with runes everywhere. */
export default {
  compilerOptions: { runes: true },
};
