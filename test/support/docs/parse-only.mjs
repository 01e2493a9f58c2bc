/** Preloaded into the command: whatever it would do, it only says that its own definitions took the words. */
import { Command } from 'commander'

const { action } = Command.prototype
Command.prototype.action = function parsed() {
  return action.call(this, () => {
    process.stdout.write(`parsed ${this.name()}\n`)
  })
}
