import { expect } from 'chai'
import type { AgentConfig } from '../../../../agent/control/config/types.ts'
import { watchdogOptions } from '../../../../cli/commands/processes.ts'

describe('what the watchdog is told of agent.yaml', () => {
  const livenessOf = (probeTimeout: number) =>
    watchdogOptions({
      role: 'agent',
      file: '/etc/hostmesh/agent.yaml',
      runDir: '/run/hostmesh',
      stateDir: '/var/lib/hostmesh',
      workers: 1,
      watchdog: {
        drainDeadline: 30_000,
        startDeadline: 20_000,
        probeInterval: 2500,
        probeTimeout,
        maxMemory: 1024 ** 3,
        maxGenerations: 3,
      },
    } as AgentConfig).liveness

  it('ends a process that does not answer later than a neighbour stands in for it, whatever is configured', () => {
    expect(livenessOf(2000)).to.deep.equal({ periodMs: 2500, suspectMs: 2000, deadMs: 4000 })
    expect(livenessOf(500)).to.include({ suspectMs: 500, deadMs: 4000 })
    expect(livenessOf(10_000)).to.include({ suspectMs: 10_000, deadMs: 20_000 })
  })
})
