/** The agent of a host dies, and another tier serves its callers. */
import { type DemoHost, until } from './mesh.ts'

/** As a call through the agent of `host` was answered. */
export interface Served {
  readonly status: number
  readonly tier: string
}

/** Kills control and workers; again, where they are back before anybody has called. */
export async function killedUntil(host: DemoHost, tier: string, ask: () => Promise<Served>): Promise<void> {
  await until(60_000, `the tier ${tier} for a dead agent`, async () => {
    await host.ready()
    await host.signal('generation', 'SIGKILL')
    for (let count = 0; count < 100; count++) {
      const answer = await ask()
      if (answer.tier === tier && answer.status === 200) return true
    }
    return false
  })
}
