// Sets the theme that was chosen before the first paint; without a choice the system's colours stand.
try {
  const theme = localStorage.getItem("patchcord.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {}
