import { expect } from 'chai'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../../../..')

describe('the scripts of the Debian package', () => {
  it('take every unit out of use that somebody may have enabled, before its file is gone', () => {
    const line = /systemctl disable --now (.+) 2>/.exec(readFileSync(join(root, 'packaging/deb/prerm'), 'utf8'))?.[1]
    const named = line!.trim().split(' ')
    const enabled = readdirSync(join(root, 'systemd')).filter((unit) =>
      readFileSync(join(root, 'systemd', unit), 'utf8').includes('[Install]'),
    )
    expect(enabled).to.include('hostmesh-drill.timer')
    expect(named.map((unit) => (unit.includes('.') ? unit : `${unit}.service`))).to.have.members(enabled)
  })
})
