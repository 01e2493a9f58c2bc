/**
 * What is wrong with a template of a path (`agent/worker/filters/authorization/path-template.ts`); undefined = nothing.
 */
export function pathTemplateProblem(template: string): string | undefined {
  const found = `found ${JSON.stringify(template.slice(0, 80))}, allowed`
  if (template.length > 2048) return `${template.length} characters, allowed 2048`
  if (!template.startsWith('/')) return `${found} a template that begins with /`
  const segments = template.split('/')
  const rest = segments.findIndex((segment) => segment === '{**}')
  for (const [index, segment] of segments.entries()) {
    if (segment === '{*}' || segment === '{**}') {
      if (rest >= 0 && index > rest) return `${found} {**} as the last operator`
    } else if (/[{}*]/.test(segment)) {
      return `${found} {*} or {**} as a whole segment, and no other * or brace`
    }
  }
  return undefined
}
