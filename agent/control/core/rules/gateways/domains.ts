/** Host names and wildcards of Gateways and VirtualServices. All in lower case: exact, `*.suffix`, or `*`. */

/** Whether every name of `inner` is one of `outer`. */
function covers(outer: string, inner: string): boolean {
  if (outer === '*' || outer === inner) return true
  // a wildcard has at least one label before its suffix
  return outer.startsWith('*') && inner.length > outer.length - 1 && inner.endsWith(outer.slice(1))
}

/** The names of both; undefined = none. */
export function common(one: string, other: string): string | undefined {
  if (covers(one, other)) return other
  return covers(other, one) ? one : undefined
}
