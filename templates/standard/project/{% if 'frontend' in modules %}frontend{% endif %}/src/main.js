import { greeting } from "./greeting.js";

const answer = document.getElementById("answer");
document.getElementById("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  answer.textContent = await greeting(document.getElementById("name").value);
});
