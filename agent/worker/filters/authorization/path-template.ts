/**
 * Templates of paths as Istio has them: `{*}` is one segment that is not empty, `{**}` any rest, also none; `{**}` is
 * the last operator, and text may follow it. Time is linear in the path.
 */
export interface PathTemplate {
  has(path: string): boolean
}

/** A template that control has checked. */
export function pathTemplate(template: string): PathTemplate {
  const rest = template.indexOf('{**}')
  const head = (rest < 0 ? template : template.slice(0, rest)).split('{*}')
  const tail = rest < 0 ? '' : template.slice(rest + '{**}'.length)
  const least = tail.length
  return {
    has(path) {
      let at = 0
      for (const [index, text] of head.entries()) {
        if (index > 0) {
          const end = endOfSegment(path, at)
          if (end === at) return false
          at = end
        }
        if (!path.startsWith(text, at)) return false
        at += text.length
      }
      return rest < 0 ? at === path.length : path.length - at >= least && path.endsWith(tail)
    },
  }
}

function endOfSegment(path: string, from: number): number {
  const slash = path.indexOf('/', from)
  return slash < 0 ? path.length : slash
}
