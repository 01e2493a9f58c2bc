/** Why a resource cannot be taken: each with the path of its field, as `routes[0].route.cluster_header`. */
export class Faults {
  readonly texts: string[] = []
  private left = 0

  add(path: string, problem: string): void {
    if (this.texts.length < maxTexts) this.texts.push(`${path}: ${problem}`)
    else this.left++
  }

  get isEmpty(): boolean {
    return this.count === 0
  }

  get count(): number {
    return this.texts.length + this.left
  }

  toString(): string {
    return this.texts.join('; ') + (this.left > 0 ? `; and ${this.left} more` : '')
  }
}

/** Of one resource; more help nobody. */
const maxTexts = 5

export function inside(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
