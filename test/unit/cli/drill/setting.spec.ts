import { expect } from 'chai'
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentConfig } from '../../../../agent/control/config/types.ts'
import { settingOf } from '../../../../cli/commands/drill.ts'

describe('a drill', () => {
  it('does not believe an admin socket that another user than the agent has put there', function () {
    if (process.geteuid?.() !== 0) this.skip()
    const runDir = mkdtempSync(join(tmpdir(), 'hm-run-'))
    try {
      const socket = join(runDir, 'admin.sock')
      writeFileSync(socket, '')
      chownSync(socket, 65_534, 65_534)
      const config = { runDir, admin: { socket }, role: 'agent', file: '/agent.yaml' } as unknown as AgentConfig
      const pid = process.pid
      expect(() => settingOf(config, { pid }, { faultMs: 1 })).to.throw(/the socket is not believed/)
    } finally {
      rmSync(runDir, { recursive: true, force: true })
    }
  })
})
