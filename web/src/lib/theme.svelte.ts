/** Light, dark, or as the system has it; remembered in this browser. `theme.js` sets it before the first paint. */
export type Theme = "system" | "light" | "dark";

const place = "patchcord.theme";

function stored(): Theme {
  try {
    const value = localStorage.getItem(place);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

class ThemeChoice {
  current = $state<Theme>(stored());

  choose(theme: Theme): void {
    this.current = theme;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      if (theme === "system") localStorage.removeItem(place);
      else localStorage.setItem(place, theme);
    } catch {
      // A browser that stores nothing has the theme until the page is left.
    }
  }
}

/** The theme that was chosen. */
export const theme = new ThemeChoice();
