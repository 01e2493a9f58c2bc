/** The value of a rule in the store of a center, as versions before the history wrote it. */
export function storedRule(rule: object): string {
  const { metadata, ...rest } = rule as { metadata: { name: string } }
  const object = {
    ...rest,
    metadata: {
      ...metadata,
      namespace: 'shop',
      uid: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      generation: 1,
    },
  }
  return JSON.stringify({ object, changedAt: '2026-01-01T00:00:00Z', owners: {} })
}
