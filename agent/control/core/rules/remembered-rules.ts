/**
 * What is left of the rules of the last run: without those of registries that this configuration does not name, which
 * nobody would ever take back. The sources of registries are called `TYPE:NAME`.
 */
export function rememberedRules(body: unknown, registries: readonly { readonly name: string }[]): unknown {
  const { resources, ...more } = Object(body) as { readonly resources?: unknown }
  if (!Array.isArray(resources)) return body
  const names = new Set(registries.map(({ name }) => name))
  return { ...more, resources: (resources as unknown[]).filter((one) => isStillNamed(one, names)) }
}

function isStillNamed(resource: unknown, names: ReadonlySet<string>): boolean {
  const { source } = Object(resource) as { readonly source?: unknown }
  const at = typeof source === 'string' ? source.indexOf(':') : -1
  return at < 0 || names.has(String(source).slice(at + 1))
}
