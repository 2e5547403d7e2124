// Sends the answer on its way (OAuth 2.0 Form Post Response Mode); without scripts there is a button.
document.getElementById("form-post").submit();
