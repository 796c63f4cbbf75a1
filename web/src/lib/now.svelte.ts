/** The time, once a second while somebody looks: what "3 min ago" and running lengths are counted from. */
import { createSubscriber } from "svelte/reactivity";

const subscribe = createSubscriber((update) => {
  const timer = setInterval(() => {
    if (!document.hidden) update();
  }, 1_000);
  return () => clearInterval(timer);
});

/** Milliseconds since 1970; whoever reads it while rendering is rendered again each second. */
export function now(): number {
  subscribe();
  return Date.now();
}
