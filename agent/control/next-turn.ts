/** Resolves in the next turn of the loop: workers, registries and operators are served before. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
