import { expect } from 'chai'
import { nodeKinds } from '../../../../../cli/node-kinds.ts'

describe('what a kind of node takes where its file says nothing', () => {
  for (const { role, schema, defaults } of Object.values(nodeKinds))
    it(`is what the manual says (${role})`, () => {
      const { outbound, ...fields } = (schema as unknown as { shape: Record<string, { description?: string }> }).shape
      const told = (field: { description?: string } | undefined): string => field?.description ?? ''
      for (const name of ['runDir', 'stateDir', 'servicesDir'] as const)
        expect(told(fields[name]), name).to.include(`\`${defaults[name]}\``)
      const http =
        defaults.outboundHttp === 'off' ? 'off' : `${defaults.outboundHttp.host}:${defaults.outboundHttp.port}`
      const inside = (
        outbound as unknown as { def: { innerType: { shape: Record<string, { description?: string }> } } }
      ).def
      expect(told(inside.innerType.shape['http'])).to.include(`\`${http}\``)
    })
})
